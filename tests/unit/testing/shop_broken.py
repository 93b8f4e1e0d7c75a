from omnitron import service


class Elsewhere:
    def __init__(self, place: str = "") -> None: ...


class Desk:
    def __init__(self, elsewhere: Elsewhere) -> None: ...


@service("clerk@1.0.0")
class Clerk:
    def __init__(self, desk: Desk) -> None: ...
