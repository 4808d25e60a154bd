"""The HTML report of a sweep: one page that needs no network.

`page.write` is the entry. The other modules each gather one part of the page as plain data:
`runs` the records, `columns` the table, `curves` the training dynamics, `samples` the generated
images, `representations` the views that one can rotate, `figures` the figures of the experiment,
`command`, `origins` and `searches` where the runs come from. `assets/` holds the template, the
style and the scripts that show them.
"""
