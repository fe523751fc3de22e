"""The only control-plane code that touches vendors. Imported by controllers.wiring alone, and by what it puts together."""
