"""An assessment told: on the terminal, as JSON and JUnit for pipelines, and as one page."""
