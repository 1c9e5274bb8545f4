"""Envoy's rules of text and headers, asked about one name."""

import re

from meshtrial.doctor.place import Place


def matches(matcher: Place, text: str) -> bool:
    """Whether a StringMatcher takes the text; one that cannot be judged here takes nothing.

    Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/type/matcher/v3/string.proto
    """
    folded = matcher.get("ignore_case").flag()
    asked = text.lower() if folded else text

    def value(name: str) -> str:
        found = matcher.get(name).text()
        return found.lower() if folded else found

    if matcher.get("exact").present:
        return asked == value("exact")
    if matcher.get("prefix").present:
        return asked.startswith(value("prefix"))
    if matcher.get("suffix").present:
        return asked.endswith(value("suffix"))
    if matcher.get("contains").present:
        return value("contains") in asked
    return matches_regex(matcher.get("safe_regex"), text)


def matches_any(matchers: Place, text: str) -> bool:
    """Whether a ListStringMatcher takes the text."""
    return any(matches(matcher, text) for matcher in matchers.get("patterns").items())


def matches_regex(matcher: Place, text: str) -> bool:
    """Whether a RegexMatcher takes the whole text; False for an expression that Python cannot read.

    Envoy's expressions are RE2's, nearly all of which mean the same to Python.
    """
    pattern = matcher.get("regex").text()
    try:
        return bool(pattern) and re.fullmatch(pattern, text) is not None
    except re.error:
        return False


def may_set(rules: Place, header: str) -> bool:
    """Whether HeaderMutationRules let a filter set this header.

    Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/common/mutation_rules/v3/mutation_rules.proto
    """
    if matches_regex(rules.get("disallow_expression"), header):
        return False
    if matches_regex(rules.get("allow_expression"), header):
        return True
    if rules.get("disallow_all").flag():
        return False
    if header.startswith("x-envoy"):
        return rules.get("allow_envoy").flag()
    return True


def is_removed(mutations: Place, header: str) -> bool:
    """Whether a list of HeaderMutation takes the header away.

    Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/common/mutation_rules/v3/mutation_rules.proto
    """
    return any(
        mutation.get("remove").text().lower() == header
        or matches(mutation.get("remove_on_match", "key_matcher"), header)
        for mutation in mutations.items()
    )


def is_seen(rules: Place, header: str) -> bool:
    """Whether ext_proc's HeaderForwardingRules let the sidecar see a header.

    Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/http/ext_proc/v3/ext_proc.proto
    """
    if matches_any(rules.get("disallowed_headers"), header):
        return False
    allowed = rules.get("allowed_headers")
    return not allowed.present or matches_any(allowed, header)
