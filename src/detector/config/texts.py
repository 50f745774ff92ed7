"""What a YAML file says of a key that holds text is text as it is written: a name may be `yes`,
`1e3` or `2024-01-31`, which YAML takes for other things."""

from collections.abc import Iterator, Mapping

import yaml

from detector.config.keys import text_keys

_TEXT = yaml.resolver.BaseResolver.DEFAULT_SCALAR_TAG
_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"


def keep_text(node: yaml.Node | None, *, may_be_null: bool) -> None:
    """Have a value be text as it is written, `null` apart where that is allowed."""
    if isinstance(node, yaml.ScalarNode) and not (may_be_null and node.tag == _NULL):
        node.tag = _TEXT


def keep_names(node: yaml.Node | None) -> None:
    """Have the keys of a mapping be text: `on` is a name, and no `True`."""
    if isinstance(node, yaml.MappingNode):
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                key.tag = _TEXT


def keep_texts(tree: yaml.Node | None) -> None:
    """`keep_text` of every text key in the document of a nested configuration."""
    for name, node in _leaves(tree, ""):
        if key := text_keys().get(name):
            keep_text(node, may_be_null=key.may_be_null)


def children(node: yaml.Node | None) -> Mapping[str, yaml.Node]:
    """The values of a mapping's document by their keys; nothing of another document."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _leaves(node: yaml.Node | None, prefix: str) -> Iterator[tuple[str, yaml.Node]]:
    for name, child in children(node).items():
        if isinstance(child, yaml.MappingNode):
            yield from _leaves(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child
