-- book: count what a run paid that has no place in the record, once for each owner.
-- KEYS record, index   ARGV owner, book       returns ok
book_late(ARGV[1], ARGV[2], false)
return 'ok'
