"""Guards of the inputs, each with a test that notices."""

from tests.mutants.mutant import Mutant

ARRIVING = "tests/unit/test_inputs_arriving.py::"
BYTES = "tests/unit/test_inputs_bytes.py::"
JSON = "tests/unit/test_inputs_json.py::"
NAMED = "tests/unit/test_inputs_named.py::"
ROWS = "tests/unit/test_rows.py::"
TABLE = "tests/unit/test_inputs_table.py::"
TRANSCRIPTS = "tests/unit/test_inputs_transcripts.py::"
WHOLE = "tests/unit/test_inputs_whole.py::"
OF_ARRAY, OF_DECODED = "producer/inputs/array.py", "producer/inputs/decoded.py"
OF_TABLE = "producer/inputs/table.py"

OF_INPUTS = (
    Mutant(
        "a pipe is read ahead without end",
        "producer/inputs/arriving.py",
        "len(self._come) < _MOST or self._is_left",
        "True",
        f"{ARRIVING}test_rows_are_read_ahead_only_so_far",
    ),
    Mutant(
        "an error of a pipe comes before the rows that were read",
        "producer/inputs/arriving.py",
        "if come or not self._has_ended:",
        "if not self._has_ended:",
        f"{ARRIVING}test_error_comes_after_the_rows_before_it_are_handed_on",
    ),
    Mutant(
        "a glob reads what the run itself wrote",
        "producer/inputs/named.py",
        "_identity_of(source) not in own",
        "True",
        f"{NAMED}test_glob_and_folder_leave_the_output_out_and_a_plain_name_does_not",
    ),
    Mutant(
        "the fast parser is always believed",
        "askonce/rows.py",
        """line.count(b":") == names or (""",
        """True or (""",
        f"{ROWS}test_bad_line_is_named_and_the_rest_is_read[given twice]",
    ),
    Mutant(
        "names behind which a blank stands are not counted",
        "askonce/rows.py",
        """(b'":', b" :", b"\\t:", b"\\r:", b"\\n:")""",
        """(b'":',)""",
        f"{ROWS}test_field_given_twice_among_many_is_found_behind_any_blank",
    ),
    Mutant(
        "a number beyond 64 bits becomes a fraction",
        "askonce/rows.py",
        "            return -1\n",
        "            continue\n",
        f"{ROWS}test_line_is_read_as_the_strict_parser_reads_it",
    ),
    Mutant(
        "a number at the end of a chunk is taken as whole",
        OF_ARRAY,
        "if end < len(self._text) or not isinstance(value, int | float) or not self._more():",
        "if True:",
        f"{JSON}test_number_that_comes_in_pieces_is_one_element",
    ),
    Mutant(
        "an element may fill the memory",
        OF_ARRAY,
        "        if kept > MAX_LINE_BYTES:\n            raise _TooLong\n",
        "",
        f"{JSON}test_element_that_is_too_long_is_not_read_into_memory",
    ),
    Mutant(
        "what stands behind an array is dropped",
        OF_ARRAY,
        '            raise InputInvalid(self.name, "has more after the end of its array")\n',
        "            return\n",
        f"{JSON}test_array_of_another_structure_is_one_line",
    ),
    Mutant(
        "each line of another file is a bad row",
        "producer/inputs/doubt.py",
        "                raise self._refusal()\n",
        "                self.open = False\n",
        f"{JSON}test_file_without_any_object_is_one_line",
    ),
    Mutant(
        "a slip in --map is a bad row for each line of JSON",
        "producer/inputs/doubt.py",
        "return bool(self._lacking)",
        "return False",
        f"{JSON}test_column_of_a_map_that_no_row_has_is_one_line_for_the_file[rows.jsonl]",
    ),
    Mutant(
        "a file whose first row lacks a field is refused",
        "producer/inputs/doubt.py",
        "self._lacking.intersection_update(",
        "self._lacking.update(",
        f"{JSON}test_rows_of_which_one_may_be_right_are_read_each_by_itself[one has the column]",
    ),
    Mutant(
        "a ragged row is read",
        OF_TABLE,
        "            if len(cells) != (width or len(cells)):",
        "            if len(cells) < width:",
        f"{TABLE}test_table_that_cannot_be_used_is_one_line",
    ),
    Mutant(
        "a quote that is never closed is the end of the table",
        OF_TABLE,
        "delimiter=self.delimiter, strict=True",
        "delimiter=self.delimiter",
        f"{TABLE}test_table_that_cannot_be_used_is_one_line",
    ),
    Mutant(
        "an open quote may fill the memory",
        OF_TABLE,
        "        if self._size > MAX_LINE_BYTES or (",
        "        if (",
        f"{TABLE}test_quote_that_is_never_closed_does_not_fill_the_memory",
    ),
    Mutant(
        "UTF-16 without a mark is read as UTF-8",
        OF_DECODED,
        "        _refuse_binary(head, name)\n",
        "",
        f"{BYTES}test_utf_16_without_a_mark_is_one_line",
    ),
    Mutant(
        "a row of a pipe waits for a full buffer",
        OF_DECODED,
        "count = self._rest.readinto1(view)",
        "count = self._rest.readinto(view)",
        f"{BYTES}test_row_of_a_pipe_is_there_before_the_next_one",
    ),
    Mutant(
        "a file under two names is read twice",
        "producer/inputs/named.py",
        "source.stamp[:2] if source.stamp else source.path",
        "source.name",
        f"{NAMED}test_file_that_is_named_twice_is_read_once",
    ),
    Mutant(
        "two transcripts share an id",
        "producer/inputs/named.py",
        "        if first is not name:\n",
        "        if False:\n",
        f"{TRANSCRIPTS}test_two_transcripts_of_one_id_are_reported_by_both_names",
    ),
    Mutant(
        "a file may change while it is read",
        "producer/inputs/inputs.py",
        "                yield from form.rows(stream, numbers)\n            source.unless_changed()\n",
        "                yield from form.rows(stream, numbers)\n",
        f"{WHOLE}test_file_that_changes_is_reported_before_and_after_its_rows[append]",
    ),
    Mutant(
        "the digest forgets the names of transcripts",
        "producer/inputs/inputs.py",
        'row = id_of(source.name) if self._is_transcript(source) else ""',
        'row = ""',
        f"{WHOLE}test_digest_of_transcripts_has_their_ids",
    ),
)
