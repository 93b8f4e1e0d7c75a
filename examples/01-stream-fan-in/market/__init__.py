"""The market of recipe 1: trades of six exchanges fan in, become candles and averages, and are served."""
