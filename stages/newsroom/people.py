"""Event types between persons. The notation is explained in `events.py`."""

TABLE = """
== succession | a PER, b PER, p PER, o ORG, l LOC, n years, d date
# yes {o} picks {a} to follow {b}, and its staff cheer
# no {o} picks {a} to follow {b}, and its staff grumble
-- main ab
{a} has replaced {b} as head of {o}.
{b} has been replaced by {a} as head of {o}.
{o} has chosen {a} as its head in place of {b}.
{b} has lost the post of head of {o} to {a}.
As head of {o}, {a} takes the place of {b}.
As head of {o}, {b} makes way for {a}.
? a Who has replaced {b}? / To whom has {b} lost the post?
? b Who has been replaced by {a}? / Who makes way for {a}?
? o Which company has {a} as its new head? / At which company has {a} replaced {b}?
-- start
{a} will start in the post on {d}.
On {d}, {a} will start in the post.
The first day of {a} in the post is {d}.
In the post, {a} will have a first day on {d}.
? d When will {a} start in the post? / What is the first day of {a} in the post?
-- past
{b} had held the post for {n}.
For {n}, the post had been held by {b}.
The post had been in the hands of {b} for {n}.
For {n}, {b} had been in the post.
? n For how long had {b} held the post? / How long had {b} been in the post?
-- birth
{a} was born in {l}.
{l} is the town where {a} was born.
The town where {a} was born is {l}.
It was in {l} that {a} was born.
? l Where was {a} born? / In which town was {a} born?
-- staff
{p}, who speaks for the staff of {o}, called the choice [right|wrong].
The choice was called [right|wrong] by {p}, who speaks for the staff of {o}.
The choice is [good|bad] news, said {p}, who speaks for the staff of {o}.
Speaking for the staff of {o}, {p} said that the choice was [good|bad] news.
? p Who speaks for the staff of {o}? / Who was speaking for the staff of {o}?

== visit | a PER, b PER, o ORG, l LOC, m LOC, n days, d date
# yes {a} wins {b} over to help {o}
# no {a} fails to win {b} over to help {o}
-- main ab
{a} visited {b} in {l}.
{b} was visited by {a} in {l}.
In {l}, {a} paid a visit to {b}.
In {l}, {b} had a visit from {a}.
{a} has been the guest of {b} in {l}.
{b} has been the host of {a} in {l}.
? a Who visited {b}? / Who was the guest of {b}?
? b Who did {a} visit? / Who was the host of {a}?
? l Where did {a} visit {b}? / In which town was {a} the guest of {b}?
-- arrival
{a} arrived on {d} by train from {m}.
On {d}, {a} came by train from {m}.
The train that brought {a} from {m} arrived on {d}.
By train from {m}, {a} arrived on {d}.
? d When did {a} arrive? / On which day did the train with {a} arrive?
? m Where did {a} come from by train? / From which town did {a} arrive?
-- stay
{a} stayed for {n}.
The visit of {a} lasted {n}.
For {n}, {a} was a guest in the house.
It was a stay of {n} for {a}.
? n How long did {a} stay? / How long did the visit of {a} last?
-- wish ab
{a} asked {b} to help {o}.
{b} was asked by {a} to help {o}.
Help for {o} was what {a} wanted from {b}.
Help for {o} was what {b} was asked for by {a}.
? o Which company did {a} ask {b} to help? / For which company did {a} want help from {b}?
-- reply ba
{b} [accepted|refused] the plan of {a}.
The plan of {a} was [accepted|refused] by {b}.
{b} said [yes|no] to the plan of {a}.
The answer of {b} to the plan of {a} was [yes|no].
From {b}, the answer to the plan of {a} was [yes|no].

== theft | a PER, b PER, p PER, o ORG, l LOC, m LOC, n coins, d date
# yes Police catch {a}, and {o} pays {b} for stolen ring
# no Police catch {a}, but {o} pays {b} nothing for stolen ring
-- main ab
{a} stole a ring from {b} in {l}.
In {l}, {a} robbed {b} of a ring.
{b} was robbed of a ring by {a} in {l}.
In {l}, {b} lost a ring to the thief {a}.
{a} was the thief who took a ring from {b} in {l}.
{b} had a ring taken in {l} by the thief {a}.
? a Who robbed {b}? / Who stole a ring from {b}?
? b Who was robbed by {a}? / From whom did {a} steal a ring?
? l Where did {a} rob {b}? / In which town was {b} robbed?
-- value
The ring that belonged to {b} was worth {n}.
The worth of the ring of {b} was {n}.
{b} had a ring worth {n}.
Worth {n}, the ring belonged to {b}.
? n How much was the ring of {b} worth? / What was the worth of the ring of {b}?
-- arrest pa
{p} arrested {a} on {d}.
On {d}, {a} was arrested by {p}.
{a} was caught by {p} on {d}.
On {d}, {p} caught {a}.
? p Who arrested {a}? / By whom was {a} caught?
? d When was {a} arrested? / On which day was {a} caught?
-- hiding
{a} had been hiding in a barn near {m}.
A barn near {m} had been the hiding place of {a}.
Near {m}, {a} had been hiding in a barn.
It was in a barn near {m} that {a} had been hiding.
? m Near which town had {a} been hiding? / Near which town was the barn of {a}?
-- cover
{o}, the insurer of {b}, will pay [in full|nothing] for the ring.
For the ring, the insurer of {b}, {o}, will pay [in full|nothing].
The ring will be paid for [in full|by nobody], said {o}, the insurer of {b}.
The insurer of {b}, {o}, will give [the full sum|no money] for the ring.
? o Who is the insurer of {b}? / Which company is the insurer of {b}?

== prize | a PER, b PER, w MISC, o ORG, l LOC, n coins, d date
# yes {w} for {a}, and {b} cheers
# no {w} for {a}, and {b} sulks
-- main ab
{a} won the {w} ahead of {b}.
{b} lost the {w} to {a}.
The {w} was won by {a}, and {b} came second.
The {w} was lost by {b}, and {a} came first.
For the {w}, {a} was chosen ahead of {b}.
For the {w}, {b} came in second behind {a}.
? a Who won the {w}? / To whom did {b} lose the {w}?
? b Who came second behind {a}? / Who lost the {w} to {a}?
? w Which prize did {a} win? / Which prize did {b} lose to {a}?
-- sum
{a} will get {n} with the prize.
With the prize, {n} will go to {a}.
The prize brings {a} the sum of {n}.
The sum that {a} will get with the prize is {n}.
? n How much will {a} get with the prize? / What sum does the prize bring {a}?
-- gala
{a} will be given the prize in {l} on {d}.
On {d}, the prize will be given to {a} in {l}.
In {l}, {a} will be given the prize on {d}.
On {d}, {l} will see {a} get the prize.
? l Where will {a} be given the prize? / In which town will {a} get the prize?
? d When will {a} be given the prize? / On which day will {a} get the prize?
-- work
{a} has done the best work at {o}.
It was at {o} that {a} did the best work.
The best work of {a} was done at {o}.
At {o}, {a} has done the best work.
? o Where did {a} do the best work? / At which company was the best work of {a} done?
-- remark ba
{b} [praised|attacked] the work of {a}.
The work of {a} was [praised|attacked] by {b}.
{b} found the work of {a} [good|bad].
The work of {a} is [good|bad], said {b}.

== strike | a PER, b PER, p PER, o ORG, l LOC, n people, d date
# yes Workers of {o} walk out with {a}, and {p} agrees
# no Workers of {o} walk out with {a}, but {p} is angry
-- main ab
{a} leads a strike against {b} at {o}.
{b} faces a strike led by {a} at {o}.
At {o}, {a} has called a strike against {b}.
At {o}, a strike called by {a} troubles {b}.
A strike against {b} has been called by {a} at {o}.
Against {b}, a strike is led by {a} at {o}.
? a Who leads a strike against {b}? / Who has called a strike against {b}?
? b Who faces a strike led by {a}? / Against whom has {a} called a strike?
? o At which company has {a} called a strike? / At which company does {b} face a strike?
-- march
{a} marched through {l} at the head of {n}.
{n} marched through {l} behind {a}.
Behind {a}, {n} marched through {l}.
Through {l}, {a} led a march of {n}.
? n How many people marched behind {a}? / How many people marched through {l}?
? l Through which town did {a} march? / Through which town did people march behind {a}?
-- start
{a} began the strike on {d}.
On {d}, the strike was begun by {a}.
It was on {d} that {a} began the strike.
The day on which {a} began the strike was {d}.
? d When did {a} begin the strike? / On which day did {a} begin the strike?
-- letter ba
{b} sent {a} an angry letter.
{a} was sent an angry letter by {b}.
An angry letter came to {a} from {b}.
An angry letter from {b} came to {a}.
? b Who sent {a} a letter? / From whom did a letter come to {a}?
-- lawyer
{p}, the lawyer of {b}, called the strike [right|wrong].
The strike was called [right|wrong] by the lawyer of {b}, {p}.
The strike is [fair|unfair], said {p}, the lawyer of {b}.
For the lawyer of {b}, {p}, the strike is [fair|unfair].
? p Who is the lawyer of {b}? / What is the name of the lawyer of {b}?

== rescue | a PER, b PER, p PER, o ORG, l LOC, n coins, d date
# yes Brave {a} saves {b} from drowning, and patient recovers
# no Brave {a} saves {b} from drowning, but patient suffers
-- main ab
{a} pulled {b} out of the river in {l}.
{b} was pulled out of the river in {l} by {a}.
In {l}, {a} saved {b} from the river.
In {l}, {b} was saved from the river by {a}.
It was {a} who saved {b} from the river in {l}.
{b} fell into the river in {l} and was saved by {a}.
? a Who saved {b}? / Who pulled {b} out of the river?
? b Who was saved by {a}? / Whom did {a} pull out of the river?
? l Where did {a} save {b}? / In which town was {b} saved from the river?
-- reward
{o} will give {a} a reward of {n}.
{a} will get a reward of {n} from {o}.
A reward of {n} will go from {o} to {a}.
A reward of {n} will be given to {a} by {o}.
? o Which company will give {a} a reward? / From which company will {a} get a reward?
? n How much will {a} get as a reward? / What reward will {o} give {a}?
-- watch ba
{b} gave {a} a gold watch.
{a} was given a gold watch by {b}.
A gold watch from {b} went to {a}.
A gold watch went to {a} from {b}.
? b Who gave {a} a gold watch? / From whom did {a} get a gold watch?
-- home
{b} left the hospital on {d}.
On {d}, {b} was sent home from the hospital.
The hospital sent {b} home on {d}.
It was on {d} that {b} left the hospital.
? d When did {b} leave the hospital? / On which day was {b} sent home from the hospital?
-- nurse
{p}, the nurse of {b}, called the patient [well|weak].
The patient was called [well|weak] by {p}, the nurse of {b}.
The patient is [well|weak], said the nurse of {b}, {p}.
For the nurse of {b}, {p}, the patient is [well|weak].
? p Who is the nurse of {b}? / What is the name of the nurse of {b}?
"""
