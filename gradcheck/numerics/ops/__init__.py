"""The first proof: every recorded op call at its real inputs."""
