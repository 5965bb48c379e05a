"""What is generated from the schema of a case: the JSON Schema and the reference."""
