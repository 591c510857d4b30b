"""What a migration sends: the image's fresh migration on an empty stand-in that records."""

from __future__ import annotations

from harness import statement_log
from harness.database import Database
from harness.labels import Owner
from harness.prepare import Prepared, with_images
from harness.runtime.docker import DockerRuntime
from harness.services.airflow3 import migrate
from harness.services.database import NAME, PORT, RECORD_SQL, stand_in
from harness.services.gateway import gateway
from harness.settings import StackSettings, new_stack_name
from harness.topology import After, Topology


def statements(prepared: Prepared) -> list[str]:
    """Migrate an empty database and return the statements' classes. Raises `StartError` and `ImageError`."""
    empty = stand_in(settings=RECORD_SQL)
    topology = Topology("migrations", "", (empty, *migrate(After(NAME)), gateway((empty,))), ())
    images = with_images(prepared, topology.images()).references
    stack = new_stack_name()
    settings = StackSettings.generate(stack).placeholders
    runtime = DockerRuntime(stack, topology, images, settings, Owner.this_process())
    try:
        runtime.start(topology.services(), lambda service, what: None)
        database = Database(*runtime.address(NAME, PORT))
        try:
            return statement_log.statements(database)
        finally:
            database.close()
    finally:
        runtime.remove()
