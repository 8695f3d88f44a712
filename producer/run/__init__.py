"""One run: rows in, one report for each of them out, resumable.

``start.py`` is one start of it: which rows (``chosen.py``), what is written (``opened.py``), and the run
itself (``new_run.py``). ``run.py`` enqueues ``groups.py`` of rows and waits for them (``following.py``);
``report.py`` is the line of one row; ``journal.py`` keeps the lines on disk as rows end; ``output.py``
writes them in the order of the input.
"""
