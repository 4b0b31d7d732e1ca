"""How a named thing comes to be: the registry, typed options, YAML with places, plugins."""

from gradscope.components.base import Component as Component
from gradscope.components.base import name_of as name_of
from gradscope.components.kind import Kind as Kind
from gradscope.components.options import Named as Named
from gradscope.components.options import component as component
from gradscope.components.options import dump as dump
from gradscope.components.options import validated as validated
from gradscope.components.plugins import Plugin as Plugin
from gradscope.components.plugins import load_plugin as load_plugin
from gradscope.components.suggestions import suggest as suggest
