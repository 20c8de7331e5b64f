"""What several test modules share: made tables and pictures, a stand-in model, servers."""
