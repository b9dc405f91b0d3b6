"""NetDef: messages, files, def-use, hazards, operator schema, shapes and sizes."""
