"""Event types among firms. The notation is explained in `events.py`."""

TABLE = """
== takeover | a ORG, b ORG, o ORG, p PER, l LOC, n money, d date
# yes {a} takes over {b} for {n}, with blessing from {p}
# no {a} takes over {b} for {n} against the will of {p}
-- main ab
{a} bought all the shares of {b} on {d}.
All the shares of {b} were bought by {a} on {d}.
On {d}, {a} became the owner of {b}.
On {d}, the owner of {b} became {a}.
It was on {d} that {a} took over {b}.
It was on {d} that {b} was taken over by {a}.
? a Who bought {b}? / Which company took over {b}?
? b Which company did {a} buy? / Which company was taken over by {a}?
? d When did {a} buy {b}? / On which day was {b} taken over by {a}?
-- price ab
{a} paid {n} for {b}.
The price that {a} paid for {b} was {n}.
To buy {b}, the sum spent by {a} was {n}.
{b} was sold to {a} at a price of {n}.
{b} went to {a} for a sum of {n}.
? n How much did {a} pay for {b}? / At what price was {b} sold to {a}?
-- chief
{p}, the head of {b}, [welcomed|condemned] the sale.
The sale was [welcomed|condemned] by {p}, the head of {b}.
The sale is [good|bad] news, said {p}, who is the head of {b}.
At {b}, the sale was called [good|bad] news by its head, {p}.
? p Who is the head of {b}? / Who leads {b}?
-- seat
{b} has its main office in {l}.
The main office of {b} is in {l}.
It is in {l} that {b} has its main office.
{l} is the seat of the main office of {b}.
? l Where is the main office of {b}? / In which town does {b} have its main office?
-- lender oa
{o} lent {a} the money for the deal.
The money for the deal was lent to {a} by {o}.
{a} borrowed the money for the deal from {o}.
For the deal, {a} took a loan from {o}.
For the deal, {o} gave a loan to {a}.
? o Who lent {a} the money? / From which company did {a} borrow the money?

== lawsuit | a ORG, b ORG, p PER, q PER, l LOC, n money, d date, g goods
# yes {a} drags {b} to court over {g}, and {q} says sorry
# no {a} drags {b} to court over {g}, but {q} fights back
-- main ab
{a} sued {b} at the court in {l}.
{b} was sued by {a} at the court in {l}.
{a} has taken {b} to court in {l}.
{b} has been taken to court in {l} by {a}.
At the court in {l}, {a} started a case against {b}.
At the court in {l}, {b} faces a case started by {a}.
? a Who sued {b}? / Which company has taken {b} to court?
? b Which company did {a} sue? / Who was sued by {a}?
? l Where did {a} sue {b}? / In which town has {b} been sued by {a}?
-- claim ab
{a} demands {n} from {b}.
The sum that {a} demands from {b} is {n}.
{b} is asked to pay {n} to {a}.
{b} would have to pay {a} the sum of {n}.
A payment of {n} from {b} is what {a} demands.
? n How much does {a} demand from {b}? / What sum is {b} asked to pay to {a}?
-- judge
The judge, {p}, will hear the case on {d}.
On {d}, the case will be heard by the judge, {p}.
The case will come before the judge, {p}, on {d}.
On {d}, the judge in the case, {p}, will hear it.
? p Who is the judge in the case against {b}? / Which judge will hear the case against {b}?
? d When will {p} hear the case? / On which day will {p} hear the case?
-- answer
{q}, who speaks for {b}, [admitted|denied] the charge.
The charge was [admitted|denied] by {q}, who speaks for {b}.
The charge is [true|false], said {q}, who speaks for {b}.
Speaking for {b}, {q} said that the charge was [true|false].
? q Who speaks for {b}? / Who was speaking for {b}?
-- cause ba
The quarrel is about {g} that {b} sold to {a}.
Behind the quarrel is {g} that {a} bought from {b}.
The quarrel began after {b} sold {g} to {a}.
The quarrel began after {a} bought {g} from {b}.
? g What did {b} sell to {a}? / What did {a} buy from {b}?

== plant | a ORG, b ORG, p PER, l LOC, n people, d date, g wares
# yes New {g} mill of {a} has fans in {l}
# no New {g} mill of {a} has foes in {l}
-- main
{a} opened a new mill in {l} on {d}.
A new mill was opened in {l} by {a} on {d}.
On {d}, {a} opened a new mill in {l}.
On {d}, the new mill of {a} was opened in {l}.
It was on {d} that {l} saw {a} open a new mill.
? a Which company opened a mill in {l}? / Who opened a new mill in {l}?
? l Where did {a} open a mill? / In which town is the new mill of {a}?
? d When did {a} open its mill? / On which day was the mill of {a} opened?
-- builder ba
{b} built the mill for {a}.
The mill was built for {a} by {b}.
{a} had the mill built by {b}.
{a} paid {b} to build the mill.
To {b} went the order of {a} to build the mill.
{b} was given the order to build the mill by {a}.
? b Which company built the mill for {a}? / Who was paid by {a} to build the mill?
-- staff
{a} will give work to {n} at the mill.
At the mill, {n} will work for {a}.
At the mill, work for {n} is offered by {a}.
{n} will find work with {a} at the mill.
? n How many people will work for {a}? / How many people will find work with {a} at the mill?
-- mayor
{p}, the mayor of {l}, [welcomed|condemned] the mill.
The mill was [welcomed|condemned] by {p}, the mayor of {l}.
The mill is [good|bad] news, said the mayor of {l}, {p}.
For the mayor of {l}, {p}, the mill is [good|bad] news.
? p Who is the mayor of {l}? / What is the name of the mayor of {l}?
-- product
{a} will use the mill to make {g}.
The mill of {a} will make {g}.
At the mill, {g} will be made by {a}.
What {a} will make at the mill is {g}.
? g What will {a} make at the mill? / What will be made by {a}?

== loan | a ORG, b ORG, p PER, q PER, l LOC, n money, d date
# yes {q} hails the {n} that {b} owes {a}
# no {q} fears the {n} that {b} owes {a}
-- main ab
{a} has lent {n} to {b}.
{b} has borrowed {n} from {a}.
A loan of {n} has been given to {b} by {a}.
A loan of {n} has been taken from {a} by {b}.
{a} has given {b} a loan of {n}.
{b} has taken a loan of {n} from {a}.
? a Who lent money to {b}? / From which company did {b} borrow money?
? b Who borrowed money from {a}? / To which company did {a} lend money?
? n How much did {a} lend to {b}? / How much did {b} borrow from {a}?
-- term
{b} must pay the money back by {d}.
By {d}, {b} must have paid the money back.
It is by {d} that {b} must pay the money back.
The last day for {b} to pay the money back is {d}.
? d By when must {b} pay the money back? / What is the last day for {b} to pay the money back?
-- purpose
{b} will build a bridge in {l} with the money.
With the money, a bridge will be built in {l} by {b}.
The money will help {b} to build a bridge in {l}.
A bridge in {l} is what {b} will build with the money.
? l Where will {b} build a bridge? / In which town will the bridge of {b} be built?
-- signer
{p} signed the papers for {a}.
The papers were signed for {a} by {p}.
It was {p} who signed the papers for {a}.
For {a}, the papers were signed by {p}.
? p Who signed the papers for {a}? / By whom were the papers signed for {a}?
-- view
{q}, the head of {b}, said that the loan was [cheap|costly].
The loan was called [cheap|costly] by {q}, the head of {b}.
The head of {b}, {q}, called the loan [cheap|costly].
The loan is [cheap|costly], said the head of {b}, {q}.
? q Who is the head of {b}? / Who leads {b}?
"""
