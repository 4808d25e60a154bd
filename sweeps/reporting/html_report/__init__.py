"""The HTML report of a sweep: one page that needs no network.

`page.write` is the entry. The other modules each gather one part of the page as plain data:
`runs` the records, `columns` the table, `curves` the training dynamics, `samples` the generated
images, `representations` the views that one can rotate, `static_figures` the figures, `facts` the
rest. `assets/` holds the template, the style and the scripts that show them.
"""
