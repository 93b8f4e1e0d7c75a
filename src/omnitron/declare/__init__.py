"""The decorators of user code. They only record, as marks on the function or class; `rpc` and `child` read them."""
