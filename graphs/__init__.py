"""Wire the techniques: each module opens with its picture and has `build` and `graph`."""
