"""The check `updates`: does one step move what it should, as the rule of the optimizer says."""
