"""The only control-plane code that touches vendors. Imported by composition roots alone, first by the wiring."""
