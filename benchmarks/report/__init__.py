"""The report page: records in, one HTML file out.

The way of the data: records (what there is to show) > words, summary, tables, classes, gallery and
charts (what is said and drawn of it) > views (all of it, a subject at a time) > page and its
template (where it stands). Nothing here reads a bundle or an image.
"""
