"""One run: rows in, one report for each of them out, resumable.

``run.py`` enqueues groups of rows and waits for them; ``report.py`` is the line of one row; ``journal.py``
keeps the lines on disk as rows end; ``output.py`` writes them in the order of the input.
"""
