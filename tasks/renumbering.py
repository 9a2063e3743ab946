"""Give the links of a chain the ids that follow from the id of its root. Pure."""

from typing import Any, Final

from .state.routing import link_id

LINKS: Final = "links"  # under this name a message keeps the objects of the links that follow it


def renumbered(data: dict[str, Any], root: str, number: int = 1) -> dict[str, Any]:
    """Return the data of a chain's links with the ids that follow from the root's."""
    following = data.get("callback_message_data")
    more = {} if following is None else {"callback_message_data": renumbered(following, root, number + 1)}
    return {**data, "uuid": link_id(root, number), **more}
