"""Which texts are colours: hexadecimal, rgb(), hsl() and the names of CSS (CSS Color Module Level 4, 5 to 7)."""

import re

NAMES = """
aliceblue antiquewhite aqua aquamarine azure beige bisque black blanchedalmond blue blueviolet brown burlywood
cadetblue chartreuse chocolate coral cornflowerblue cornsilk crimson cyan darkblue darkcyan darkgoldenrod darkgray
darkgreen darkgrey darkkhaki darkmagenta darkolivegreen darkorange darkorchid darkred darksalmon darkseagreen
darkslateblue darkslategray darkslategrey darkturquoise darkviolet deeppink deepskyblue dimgray dimgrey dodgerblue
firebrick floralwhite forestgreen fuchsia gainsboro ghostwhite gold goldenrod gray green greenyellow grey honeydew
hotpink indianred indigo ivory khaki lavender lavenderblush lawngreen lemonchiffon lightblue lightcoral lightcyan
lightgoldenrodyellow lightgray lightgreen lightgrey lightpink lightsalmon lightseagreen lightskyblue lightslategray
lightslategrey lightsteelblue lightyellow lime limegreen linen magenta maroon mediumaquamarine mediumblue
mediumorchid mediumpurple mediumseagreen mediumslateblue mediumspringgreen mediumturquoise mediumvioletred
midnightblue mintcream mistyrose moccasin navajowhite navy oldlace olive olivedrab orange orangered orchid
palegoldenrod palegreen paleturquoise palevioletred papayawhip peachpuff peru pink plum powderblue purple
rebeccapurple red rosybrown royalblue saddlebrown salmon sandybrown seagreen seashell sienna silver skyblue
slateblue slategray slategrey snow springgreen steelblue tan teal thistle tomato turquoise violet wheat white
whitesmoke yellow yellowgreen
"""
NUMBER = r"[+-]?(?:[0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})"
PERCENT = f"{NUMBER}%"
ANGLE = f"{NUMBER}(?:deg|grad|rad|turn)?"
ALPHA = f"{NUMBER}%?"


def _notations(name: str, *parts: str) -> tuple[str, str]:
    """With commas, as it was first, and without."""
    return (
        rf"{name}a?\( *{' *, *'.join(parts)}(?: *, *{ALPHA})? *\)",
        rf"{name}a?\( *{' +'.join(parts)}(?: */ *{ALPHA})? *\)",
    )


COLOUR = re.compile(
    "|".join(
        (
            *NAMES.split(),
            "#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})",
            *_notations("rgb", NUMBER, NUMBER, NUMBER),
            *_notations("rgb", PERCENT, PERCENT, PERCENT),
            *_notations("hsl", ANGLE, PERCENT, PERCENT),
        )
    ),
    re.ASCII | re.IGNORECASE,
)


def is_colour(value: str) -> bool:
    """Whether this is wholly a colour: where an attribute takes one, it can do nothing else."""
    return COLOUR.fullmatch(value) is not None
