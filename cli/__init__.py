"""The command `yout` for operators. Each noun has a module, which is imported when one of its commands runs."""
