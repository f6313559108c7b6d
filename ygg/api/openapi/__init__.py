"""The description of the API for programs: /openapi.json. Loaded when somebody asks for it."""
