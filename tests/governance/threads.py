"""Acts that happen at once, each in a thread and a database connection of its own."""

import threading

from django.db import connection, connections


def at_once(*acts):
    """Run `acts` at the same time, and return what each returned or raised."""
    results = [None] * len(acts)
    gate = threading.Barrier(len(acts))

    def run(place, act):
        connection.ensure_connection()
        gate.wait(timeout=10)
        try:
            results[place] = act()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return results
