"""What runs inside an image, by itself, and prints facts as JSON (their shape: `harness.upgrade.facts`).

It needs no network, no database, and nothing but the standard library and the image's own Airflow. It runs as the
package ``probe`` with the image's Python (3.10 or newer), so it imports nothing of the harness, and Airflow only by
name.
"""
