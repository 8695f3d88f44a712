"""Reads the rows of any input: files, folders, globs and stdin, of several formats."""

from producer.inputs.arriving import as_they_come
from producer.inputs.inputs import Inputs, open_inputs
from producer.inputs.reading import InputChanged, InputInvalid, Reading, columns_of

__all__ = ["InputChanged", "InputInvalid", "Inputs", "Reading", "as_they_come", "columns_of", "open_inputs"]
