"""A small English lexicon of feeling: how good or bad a word is, and how excited.

Written for customers of a support desk, from the words in which they are pleased, annoyed, worried or in a hurry. Mood
runs from -3 to 3 and arousal from 0 (calm) to 3 (agitated): the two axes of Russell's circumplex ("A Circumplex Model
of Affect", 1980). It is coarse on purpose, and the same for real and for synthetic text, which are only ever compared.
"""

from __future__ import annotations

import re

# One line a pair of mood and arousal.
_GROUPS: dict[tuple[int, int], str] = {
    (-3, 3): "furious outraged outrageous livid disgusting disgusted disgrace disgraceful appalling appalled horrific "
    "nightmare hell hate hated hates scam scammed scammers thieves criminal criminals abysmal atrocious screw screwed "
    "fuck fucking fucked shit bullshit damn crap bloody wtf infuriating infuriated enraged robbed assaulted terrified",
    (-3, 2): "terrible horrible awful worst pathetic unacceptable ridiculous shameful shame shambles joke useless "
    "incompetent incompetence horrendous dreadful stolen fraud fraudulent stranded ruined trapped humiliated "
    "traumatic traumatised inexcusable liars lied lying",
    (-2, 3): "angry panic panicking panicked urgent urgently emergency desperate desperately asap scared afraid "
    "frightened freaking hacked threatening hysterical",
    (
        -2,
        2,
    ): "annoyed annoying annoys frustrated frustrating frustration upset upsetting stressed stressful stress rude "
    "stupid idiots idiot sucks sucked suck ugh argh grr terribly unbelievable worried worrying worry anxious alarmed "
    "insane fed ignored ignoring misled rubbish trash crying hopeless fail fails fuming mad",
    (-2, 1): "bad worse poor poorly disappointed disappointing disappointment disappoints unhappy unfair broken lost "
    "missing wrong failed failing failure problem problems error errors complaint complain complaining unreliable "
    "unhelpful lousy painful dirty filthy damaged sick sad regret miserable",
    (-1, 2): "suspicious shocked shocking confused confusing bizarre weird strange stuck rushed hurry rush immediately "
    "impatient suddenly unauthorized unauthorised unrecognized unrecognised",
    (-1, 1): "declined rejected refused blocked denied cancelled canceled delayed delay delays delaying issue issues "
    "trouble concern concerned concerns late waiting waited wait slow unable unexpected incorrect mistake charged "
    "overcharged expired locked closed frozen cannot wasted waste",
    (-1, 0): "sorry unfortunately tired bored boring unsure doubt doubtful unclear old cold",
    (1, 0): "please fine okay ok kind kindly thank thanks welcome easy clear calm patient comfortable smooth smoothly "
    "polite politely gentle reliable safe safely",
    (1, 1): "good nice helpful useful help helped glad hope hopefully hoping appreciate appreciated appreciates "
    "interested works worked solved resolved fixed quick quickly prompt promptly friendly cheers improved fair",
    (1, 2): "wow curious eager finally surprised surprising cool fun",
    (
        2,
        1,
    ): "great happy pleased grateful thankful lovely pleasant enjoy enjoyed enjoying enjoyable satisfied courteous "
    "kudos impressed impressive efficient relieved perfect perfectly wonderful best",
    (2, 2): "love loved loving loves awesome delighted brilliant fantastic superb exceptional outstanding excellent "
    "yay congrats congratulations hooray rocks",
    (3, 3): "amazing amazed incredible thrilled ecstatic excited exciting fabulous phenomenal unreal stoked",
}
WORDS: dict[str, tuple[int, int]] = {word: pair for pair, words in _GROUPS.items() for word in words.split()}

NEGATIONS = frozenset(
    "not no never without hardly cannot dont cant wont didnt doesnt isnt wasnt hasnt havent couldnt nothing".split()
)
REACH = 3  # words over which a negation reaches

_TIMES = r"(?:hours?|hrs?|days|weeks|months|mins?|minutes)"
FRUSTRATED = re.compile(
    rf"\b(?:(?:\d+|two|three|four|five|several|many|for) {_TIMES}\b.{{0,30}}\b(?:wait\w*|hold|no|still|late|delay\w*)"
    rf"|(?:wait\w*|hold|sitting|stuck|delay\w*)\b.{{0,30}}\b(?:\d+|two|three|four|five|several) {_TIMES})\b"
    r"|\b(?:still (?:waiting|no|not|have ?n[o']t)|(?:second|third|fourth|2nd|3rd|4th|5th|hundredth) time|fed up|"
    r"sick of|tired of|over and over|keeps? (?:on )?(?:\w+ing|getting|telling|saying)|no one|nobody|"
    r"what (?:is|the) (?:hell|heck|point)|"
    r"how (?:long|many times|hard)|waste of|never again|last time|enough is enough|run ?around|getting nowhere|"
    r"come on|seriously|do better|get it together|"
    r"(?:worst|poor|terrible|bad|awful|horrible) (?:\w+ )?(?:service|airline|experience|company|bank|support))\b"
)
SARCASTIC = re.compile(
    r"\b(?:thanks?(?: you)? (?:so much |a lot |very much )?for (?:nothing|the (?:delay|wait|cancel\w*|mess)|"
    r"(?:losing|los\w*|ruin\w*|delay\w*|cancel\w*|wast\w*|mak\w* me|leav\w*|charg\w*|ignor\w*|break\w*|miss\w*|"
    r"not |never ))|(?:great|nice|good|awesome|excellent|fantastic|wonderful|stellar) (?:job|work|going|way|start|"
    r"customer service|service)\b.{0,60}\b(?:los\w*|delay\w*|cancel\w*|wait\w*|late|fail\w*|not|no|never|again|ruin\w*|"
    r"broke\w*|miss\w*)|(?:just|how|oh|so) (?:great|lovely|wonderful|fantastic|perfect|convenient|brilliant|awesome|"
    r"nice)|love (?:how|it when|that|being|sitting|waiting|paying|getting|the (?:delay|wait))|yeah,? right|"
    r"way to go|so much for|good to know|what a (?:surprise|shock|joke|treat)|surprise,? surprise|big surprise|"
    r"shocker|color me|colour me|as (?:usual|always)|of course|i guess|must be nice|well done|bravo|slow clap|"
    r"real(?:ly)? (?:classy|helpful|nice|professional)|who needs|because (?:who|why))\b"
    r"|\N{FACE WITH ROLLING EYES}|\N{UPSIDE-DOWN FACE}|\N{UNAMUSED FACE}|(?<!\w)/s\b|#(?:not|sarcas)"
)
POLITE = re.compile(
    r"\b(?:please|pls|plz|kindly|thanks?|thank you|thx|ty|cheers|grateful|appreciate\w*|(?:could|would|can|may) "
    r"(?:you|i|we)\b.{0,20}\b(?:please|help|assist|tell|explain|let|kindly)|would it be possible|i would like|"
    r"i was wondering|sorry|excuse me|hello|good (?:morning|afternoon|evening)|dear|regards|looking forward)\b"
)
