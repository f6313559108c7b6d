"""From a document to a NewTask, for whoever brings one: API, CLI, and later sources and faces.

`reading` bytes to JSON, `checking` what every document must keep to, `schemas` the documents of tasks,
`matching` type, model and host, `times` durations and moments, `tasks` the whole way.
"""
