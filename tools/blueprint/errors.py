"""What can go wrong with the plan itself."""


class PlanError(Exception):
    """device.toml cannot be read as a plan; the message names the place."""
