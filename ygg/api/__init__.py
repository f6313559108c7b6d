"""The verbs of ygg as HTTP: intake, bodies, handlers, and the server around them."""
