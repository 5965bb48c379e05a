"""What all tests share."""

from tests.support.project import everything_imported, project

__all__ = ["everything_imported", "project"]

pytest_plugins = ["pytester", "tests.support.golden"]
