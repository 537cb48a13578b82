"""The HTTP routes by who asks for them. `routes.table` lists them all."""
