"""How `nano` is made: teachers, training, export, report. Needs the `distill` extra (torch, OpenCV)."""
