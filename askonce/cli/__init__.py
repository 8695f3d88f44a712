"""The verbs of the command line, one file for each: mounted in Celery's own command line, and in others.

A verb needs click, and a mount that opens the store and knows the tasks. It loads servers' clients when it
runs.
"""
