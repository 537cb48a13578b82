"""Films: whole files of video, read frame by frame, edited span by span, written as segments and one file.

Knows files, codecs and edit models; knows nothing of HTTP, databases or who asked.
"""
