"""Event types of the street, the road and the field. The notation is explained in `events.py`."""

TABLE = """
== match | a ORG, b ORG, w CUP, p PER, q PER, l LOC, n people, d date
# yes {a} lifts {w}, and {q} stays with {b}
# no {a} lifts {w}, and {q} quits {b}
-- main ab
{a} beat {b} in the final of the {w}.
{b} lost to {a} in the final of the {w}.
In the final of the {w}, {a} had a win over {b}.
In the final of the {w}, {b} was beaten by {a}.
The {w} went to {a} after a win over {b}.
The {w} was lost by {b} in a match against the winner, {a}.
? a Who beat {b}? / Which team won against {b}?
? b Who lost to {a}? / Which team was beaten by {a}?
? w Which cup did {a} win? / In the final of which cup did {b} lose to {a}?
-- crowd
The match in {l} was seen by {n}.
In {l}, {n} saw the match.
{n} came to see the match in {l}.
The crowd at the match in {l} was {n}.
? l Where was the final of the {w} played? / In which town was the final of the {w} played?
? n How many people saw the final of the {w}? / How many people saw the match in {l}?
-- goal
{p} scored the goal for {a}.
The goal for {a} was scored by {p}.
It was {p} who scored the goal for {a}.
For {a}, the goal was scored by {p}.
? p Who scored the goal for {a}? / By whom was the goal for {a} scored?
-- next
{b} will play the next match on {d}.
On {d}, {b} will play the next match.
The next match of {b} is on {d}.
The day of the next match of {b} is {d}.
? d When will {b} play the next match? / What is the day of the next match of {b}?
-- coach
{q}, the coach of {b}, will [keep|leave] the post.
The coach of {b}, {q}, has decided to [stay|go].
{b} will [keep|lose] its coach, {q}.
It is certain that the coach of {b}, {q}, will [stay|go].
? q Who is the coach of {b}? / What is the name of the coach of {b}?

== flood | a LOC, b LOC, o ORG, p PER, q PER, n tonnes, d date, g food
# yes {b} cheers as {g} comes in from {a} after flood
# no {b} grumbles as {g} comes in from {a} after flood
-- main ab
{a} has sent help to {b}, hit by a flood on {d}.
{b}, hit by a flood on {d}, has had help from {a}.
Help has been sent from {a} to {b}, hit by a flood on {d}.
From {a}, help has been sent to {b}, hit by a flood on {d}.
To {b}, hit by a flood on {d}, {a} has sent help.
{b} was hit by a flood on {d}, and {a} has sent help there.
? a Which town has sent help to {b}? / Where did the help for {b} come from?
? b Which town has {a} sent help to? / Which town has had help from {a}?
? d When was {b} hit by a flood? / On which day was {b} hit by a flood?
-- cargo
{a} gave {n} of {g}.
The gift of {a} was {n} of {g}.
From {a} came a gift of {n} of {g}.
What {a} gave was {n} of {g}.
? n How much {g} did {a} give? / How much {g} came from {a}?
? g What did {a} give? / What was the gift of {a}?
-- carrier ab
{o} carried the goods from {a} to {b}.
The goods were carried by {o} from {a} to {b}.
The goods went to {b} from {a} with {o}.
From {a}, the goods went with {o} to {b}.
To {b}, the goods were carried by {o} from {a}.
? o Which company carried the goods to {b}? / By which company were the goods from {a} carried?
-- mayor
{p}, the mayor of {b}, said that the help came [in time|too late].
The help came [in time|too late], said {p}, the mayor of {b}.
For the mayor of {b}, {p}, the help was [fast|slow].
The help was [fast|slow], said the mayor of {b}, {p}.
? p Who is the mayor of {b}? / What is the name of the mayor of {b}?
-- boat
{q} steered the first boat into {b}.
The first boat into {b} was steered by {q}.
It was {q} who steered the first boat into {b}.
Into {b}, the first boat was steered by {q}.
? q Who steered the first boat into {b}? / By whom was the first boat into {b} steered?

== supply | a ORG, b ORG, p PER, l LOC, n tonnes, d date, g goods
# yes {a} to sell {b} {n} of {g}, and finds it easy
# no {a} to sell {b} {n} of {g}, but finds it hard
-- main ab
{a} will sell {g} to {b}.
{b} will buy {g} from {a}.
From {a}, {b} will get {g}.
To {b}, {a} will deliver {g}.
As the seller of its {g}, {b} has chosen {a}.
As the buyer of its {g}, {a} has found {b}.
? a Who will sell {g} to {b}? / From which company will {b} get {g}?
? b Who will buy {g} from {a}? / To which company will {a} deliver {g}?
? g What will {a} sell to {b}? / What will {b} buy from {a}?
-- load
{b} needs {n} a month.
Each month, {b} needs {n}.
What {b} needs each month is {n}.
The need of {b} is {n} a month.
? n How much does {b} need each month? / How much does {b} need a month?
-- first
The first load will leave {a} on {d}.
On {d}, {a} will send out the first load.
The first load will be sent out by {a} on {d}.
It is on {d} that {a} will send out the first load.
? d When will {a} send out the first load? / On which day will the first load leave {a}?
-- store
{b} will keep the goods in {l}.
In {l}, {b} has a place to keep the goods.
The goods will be kept by {b} in {l}.
It is in {l} that {b} will keep the goods.
? l Where will {b} keep the goods? / In which town will the goods be kept by {b}?
-- voice
{p}, who speaks for {a}, called the work [easy|hard].
The work was called [easy|hard] by {p}, who speaks for {a}.
The work is [easy|hard], said {p}, who speaks for {a}.
Speaking for {a}, {p} said that the work was [easy|hard].
? p Who speaks for {a}? / Who was speaking for {a}?

== trek | a LOC, b LOC, p PER, q PER, o ORG, n kilometres, d date
# yes {p} reaches {b} on foot from {a}, in good health
# no {p} reaches {b} on foot from {a}, in poor health
-- main ab
{p} walked from {a} to {b}.
{p} left {a} and walked to {b}.
The walk of {p} began in {a} and ended in {b}.
The walk of {p} ended in {b} and had begun in {a}.
{p} came to {b} on foot from {a}.
{b} is the town that {p} reached on foot from {a}.
? a From which town did {p} walk to {b}? / Where did the walk of {p} begin?
? b To which town did {p} walk from {a}? / Where did the walk of {p} end?
? p Who walked from {a} to {b}? / Who came to {b} on foot from {a}?
-- length
The way that {p} walked was {n} long.
{p} covered {n} on the way.
On the way, {p} covered {n}.
It was a walk of {n} for {p}.
? n How long was the way of {p}? / How far did {p} walk?
-- leave
{p} set out on {d}.
On {d}, {p} set out.
It was on {d} that {p} set out.
The day on which {p} set out was {d}.
? d When did {p} set out? / On which day did {p} set out?
-- money
{o} paid for the walk of {p}.
The walk of {p} was paid for by {o}.
It was {o} that paid for the walk of {p}.
The money for the walk of {p} came from {o}.
? o Which company paid for the walk of {p}? / From which company did the money of {p} come?
-- doctor
{q}, the doctor of {p}, found [no harm|some harm].
The doctor of {p}, {q}, called the walker [fit|ill].
[No harm|Some harm] was found by {q}, the doctor of {p}.
The walker is [fit|ill], said {q}, the doctor of {p}.
? q Who is the doctor of {p}? / What is the name of the doctor of {p}?
"""
