"""The templates that `new` fills in: NAME becomes the name, CLASS its class."""
