"""The report page: records in, one HTML file out.

The way of the data: records (what there is to show) > words, charts, tables (what is said of it) >
page.html.j2 (how it stands on the page). Nothing here reads a bundle or an image.
"""
