"""The language of the demo's model: a directory of facts, and questions about it.

A fact is seven words,    `Bado : harbor 42 tuesday-noon teal .`
a question is three,      `? Bado :`
and its answer is five,   `harbor 42 tuesday-noon teal .`
Every directory binds names to values anew, so the answers can only come from the prompt, through attention.
Only the Python standard library is needed here: train.py and make_requests.py share this file.
"""

import json
import random

PLACES = """harbor garden tower cellar bridge market chapel kitchen library stable bakery orchard
quarry mill forge lighthouse theatre museum station castle palace temple school hospital prison bank
court embassy barracks arsenal dockyard shipyard brewery winery dairy tannery pottery foundry sawmill
windmill granary barn cottage manor villa lodge inn tavern hotel hostel cabin cave grotto canyon valley
meadow pasture forest grove jungle desert oasis dune beach cliff island lagoon lake pond river creek
waterfall spring well fountain aqueduct canal lock pier wharf jetty marina reef ridge summit glacier
volcano crater plateau prairie steppe tundra swamp marsh moor heath field vineyard greenhouse nursery
park plaza square arcade gallery studio workshop factory warehouse office archive vault attic balcony
terrace courtyard gatehouse hall""".split()
NUMBERS = [f"{n:02d}" for n in range(100)]
DAYS = [f"{day}-{part}"
        for day in "monday tuesday wednesday thursday friday saturday sunday".split()
        for part in "dawn morning noon afternoon evening night".split()]
COLOURS = """red orange yellow green blue indigo violet black white grey brown pink teal navy olive maroon
silver gold bronze copper ivory amber coral crimson scarlet turquoise magenta lavender beige khaki
emerald ruby sapphire jade pearl onyx opal topaz garnet""".split()
SPECIAL = ["<pad>", "<s>", "</s>", "?", ":", "."]
FACT_TOKENS = 7
QUESTION_TOKENS = 3
ANSWER_TOKENS = 5


def make_names(count=1024):
    """Pronounceable four-letter names: two syllables of one consonant and one vowel."""
    syllables = [c + v for c in "bdfghjklmnprstvz" for v in "aeiou"]
    names = [(a + b).capitalize() for a in syllables for b in syllables]
    return sorted(random.Random(2024).sample(names, count))


NAMES = make_names()
VALUES = [PLACES, NUMBERS, DAYS, COLOURS]
VOCABULARY = SPECIAL + NAMES + [value for pool in VALUES for value in pool]
TOKEN_ID = {token: i for i, token in enumerate(VOCABULARY)}


def tokenizer_json():
    """The vocabulary in the Hugging Face `tokenizers` format: words split at white space."""
    special = [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True} for i, token in enumerate(SPECIAL[:3])]
    return json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": None, "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": TOKEN_ID, "unk_token": "<pad>"}}, indent=0)


def make_facts(rng, names):
    """A dictionary from each name to its values, drawn at random."""
    return {name: [rng.choice(pool) for pool in VALUES] for name in names}


def fact_line(name, values):
    return " ".join([name, ":", *values, "."])
