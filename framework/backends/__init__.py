"""The only control-plane code that touches vendors. Imported by composition roots alone: controllers.wiring first."""
