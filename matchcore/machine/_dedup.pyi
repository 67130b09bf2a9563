# Nothing here for Python: `_machine.Machine` is the face.
