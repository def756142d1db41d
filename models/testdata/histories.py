"""Prints the history of the standard's operators as the package onnx has it.

A line has an operator and the opsets it came and changed in. "!" marks those where
the schemas alone show that nodes break: the operator or an attribute is gone, a
default changed, an input is needed or result is gone, a type is no longer allowed, or
two operands must have one type that could differ.
"""

import onnx

NEWEST = 26


def types(schema, operand):
    for constraint in schema.type_constraints:
        if constraint.type_param_str == operand.type_str:
            return set(constraint.allowed_type_strs)
    return {operand.type_str}


def default(attribute):
    return attribute.default_value.SerializeToString()


def ties(before, after):
    """Whether operands of two type variables now share one."""
    kinds = [(x.type_str, y.type_str) for x, y in zip(before.inputs, after.inputs)]
    return any(a != c and b == d for a, b in kinds for c, d in kinds)


def breaks(before, after):
    if after.deprecated or after.min_input > before.min_input or ties(before, after):
        return True
    for name, attribute in before.attributes.items():
        if name not in after.attributes or default(attribute) != default(after.attributes[name]):
            return True
    if any(a.required and name not in before.attributes for name, a in after.attributes.items()):
        return True
    for old, new in ((before.inputs, after.inputs), (before.outputs, after.outputs)):
        if len(old) > len(new) or any(types(before, x) - types(after, y) for x, y in zip(old, new)):
            return True
    return False


operators = {}
for schema in onnx.defs.get_all_schemas_with_history():
    if schema.domain == "" and schema.since_version <= NEWEST:
        operators.setdefault(schema.name, []).append(schema)

print(min(NEWEST, onnx.defs.onnx_opset_version()))
for name, schemas in sorted(operators.items()):
    schemas.sort(key=lambda s: s.since_version)
    marks = ["!" if before and breaks(before, after) else "" for before, after in zip([None, *schemas], schemas)]
    print(name, *(f"{s.since_version}{mark}" for s, mark in zip(schemas, marks)))
