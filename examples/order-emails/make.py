"""Writes train.jsonl and validation.jsonl: short order e-mails, and the JSON that an order desk would key in.

    python examples/order-emails/make.py

Names, companies, items, quantities, cities and wordings of the validation rows occur in no training row. Only
`urgent`, true or false, has the same values on both sides.
"""

import json
import random
from pathlib import Path

SYSTEM = "Order to JSON."

# Each wording says who orders, what, how many, and where to; {rush} is a sentence about urgency, or nothing.
TRAIN_WORDINGS = [
    "Hello, this is {name} from {company}. Please send us {quantity} {item} to {city}. {rush}",
    "Hi team, {company} would like to order {quantity} {item} for our {city} branch. {rush} Regards, {name}",
    "Dear sales desk, kindly ship {quantity} {item} to {city}. {rush} Best, {name}, {company}",
    "We need {quantity} {item} in {city}. {rush} {name} ({company})",
    "{name} here, {company}. Could you deliver {quantity} {item} to our site in {city}? {rush}",
    "Good morning, please book an order of {quantity} {item} for {company}, delivery to {city}. {rush} Thanks, {name}",
    "Can I get {quantity} {item} sent to {city}? {rush} This is {name} at {company}.",
    "Order for {company}: {quantity} {item}, to {city}. {rush} Contact: {name}",
    "Hi, we ran low on stock. {quantity} {item} to {city}, please. {rush} {name}, {company}",
    "To whom it may concern: {company} requests {quantity} {item}, to be delivered in {city}. {rush} Sincerely, {name}",
    "Hey, {name} from {company} again. Another {quantity} {item} for {city}, same terms. {rush}",
    "{company} is opening a new office in {city} and needs {quantity} {item}. {rush} Cheers, {name}",
    "Please add {quantity} {item} to the account of {company}. Ship to {city}. {rush} {name}",
    "Following our call: {quantity} {item} for {company}, destination {city}. {rush} Kind regards, {name}",
    "I am writing on behalf of {company}. We want {quantity} {item} delivered to {city}. {rush} {name}",
    "Good afternoon. Our warehouse in {city} is waiting for {quantity} {item}. {rush} {name}, {company}",
    "Thanks for the quote. {company} takes {quantity} {item}, sent to {city}. {rush} Yours, {name}",
    "{quantity} {item}, please, to {city}. {rush} Bill it to {company}. {name}",
    "My name is {name}, purchasing at {company}. I'd like {quantity} {item} shipped to {city}. {rush}",
    "Could {company} have {quantity} {item} in {city}? {rush} Many thanks, {name}",
    "Purchase request from {company}: {item}, {quantity} pieces, deliver to {city}. {rush} Signed, {name}",
    "Hello again! {name} of {company} needs {quantity} more {item} for {city}. {rush}",
    "Dear all, the {city} team at {company} asks for {quantity} {item}. {rush} Warm regards, {name}",
    "Please reserve {quantity} {item} for {company} and send them to {city}. {rush} {name}",
    "Hi, quick one: {quantity} {item} to {city} for {company}. {rush} Thx, {name}",
    "As agreed, {company} orders {quantity} {item}. Delivery address is in {city}. {rush} {name}",
    "Good evening, {name} writing for {company}. Our {city} store sold out and needs {quantity} {item}. {rush}",
    "Would you ship {quantity} {item} to {city} for us? {rush} {company}, attn. {name}",
    "For the attention of sales. {company}, {city}: {quantity} {item}. {rush} {name}",
    "We'd be glad to receive {quantity} {item} at our {city} depot. {rush} {name}, {company}",
    "{name} ({company}) would like {quantity} {item}. Please deliver to {city}. {rush}",
    "Please process: customer {company}, {quantity} {item}, to {city}. {rush} Greetings from {name}",
    "Hi there, it's {name}. {company} wants {quantity} {item} over in {city}. {rush}",
    "Dear supplier, our plant in {city} requires {quantity} {item}. {rush} {name} for {company}",
    "Put {company} down for {quantity} {item}, going to {city}. {rush} {name}",
    "This is an order by {company}. Item: {item}. Amount: {quantity}. Place: {city}. {rush} {name}",
    "After checking our shelves, {company} in {city} needs {quantity} {item}. {rush} Best wishes, {name}",
    "Send {quantity} {item} our way, please: {company}, {city}. {rush} {name}",
    "I'd like to place an order for {quantity} {item} on behalf of {company}, delivered to {city}. {rush} {name}",
    "{name} at {company} speaking for the {city} crew: {quantity} {item}, please. {rush}",
]
VALIDATION_WORDINGS = [
    "Dear Sir or Madam, I, {name}, wish to purchase {quantity} {item} for {company}, to arrive in {city}. {rush}",
    "Hello sales, our business in {city} grew, so {company} will take {quantity} {item}. {rush} All the best, {name}",
    "Greetings! Please dispatch {quantity} {item} to {city} on the account of {company}. {rush} {name}",
    "New order. {company} / {city} / {quantity} {item}. {rush} {name}",
    "Hi, {name} from purchasing at {company}. Our people in {city} asked me for {quantity} {item}. {rush}",
    "Would it be possible to have {quantity} {item} brought to {city}? {rush} Regards, {name} of {company}",
    "It is {name} from {company} once more: we are short of {item} in {city}, so please send {quantity}. {rush}",
    "{company} confirms the purchase of {quantity} {item} with delivery in {city}. {rush} Faithfully, {name}",
    "Morning! Need {quantity} {item} dropped off in {city}. {rush} {name}, {company}",
    "On behalf of everybody at {company}: {quantity} {item} for the {city} office would be great. {rush} {name}",
    "Please prepare {quantity} {item}. They go to {city}, to {company}. {rush} Ask for {name}.",
    "Our workshop in {city} has run out. {company} therefore orders {quantity} {item}. {rush} Thank you, {name}",
    "Let's do {quantity} {item} this time, to {city} as usual. {rush} {name} ({company})",
    "With reference to your catalogue, {company} asks you to supply {quantity} {item} to {city}. {rush} {name}",
    "{name} would like to know when {company} can have {quantity} {item} in {city}. Please go ahead with it. {rush}",
    "Kind request from {company}: forward {quantity} {item} to our building in {city}. {rush} {name}",
    "Hey folks, {quantity} {item} for {company} please, the {city} address. {rush} Have a nice day, {name}",
    "Further to our meeting we, {company}, wish to buy {quantity} {item}, handed over in {city}. {rush} {name}",
]
TRAIN_RUSH = [
    "It is urgent.",
    "We need this as soon as possible.",
    "Please treat this as a rush order.",
    "Express delivery, please.",
    "This can't wait.",
    "We are in a hurry.",
]
VALIDATION_RUSH = [
    "Please hurry, this is urgent.",
    "It's a rush job, as soon as you can.",
    "This is very urgent for us.",
]
TRAIN_CALM = ["", "", "There is no hurry.", "Standard delivery is fine.", "Take your time.", "Any day suits us."]
VALIDATION_CALM = ["", "No hurry at all.", "Normal delivery is fine for us."]
TRAIN = {
    "name": (
        "Anna Berg|Tom Keller|Maria Lopez|James Osei|Linh Tran|Peter Novak|Sofia Rossi|Omar Haddad|Julia Stein|"
        "David Clark|Emma Larsen|Raj Patel|Nina Fischer|Carlos Vega|Helen Moore|Ivan Petrov|Grace Lee|Paul Martin|"
        "Aisha Khan|Lucas Weber|Olga Sokolova|Ben Carter|Clara Jansen|Kofi Mensah|Laura Bianchi|Mark Evans"
    ),
    "company": (
        "Northwind|Acorn Foods|Bluepeak|Delta Print|Evergreen|Falcon Parts|Granite Works|Harbor Cafe|Ironbridge|"
        "Juniper Labs|Kestrel Media|Lakeside Hotel|Maple Garden|Nimbus Air|Oakfield School|Pinewood|Quartz Design|"
        "Redstone|Silverline|Tidewater|Union Bakery|Vista Homes|Westgate Clinic|Yellowtail|Zenith Tools|Corner Books"
    ),
    "item": (
        "office chairs|paper rolls|coffee mugs|steel bolts|desk lamps|ink cartridges|water bottles|wall clocks|"
        "garden hoses|paint brushes|cardboard boxes|hand towels|light bulbs|notebooks|plastic trays|work gloves|"
        "extension cables|soup bowls|picture frames|door handles|bath mats|storage bins|tea kettles|safety vests"
    ),
    "city": (
        "Berlin|Madrid|Oslo|Lyon|Dublin|Vienna|Porto|Turin|Ghent|Leeds|Basel|Malmo|Gdansk|Seville|Bristol|Cologne|"
        "Zurich|Aarhus|Tampere|Krakow|Bologna|Toulouse"
    ),
}
VALIDATION = {
    "name": (
        "Erik Holm|Fatima Zahra|George Hill|Hannah Wolf|Diego Ramos|Kate Murphy|Leon Braun|Mei Chen|Noah Scott|"
        "Petra Vogel|Samuel Adeyemi|Teresa Gomez"
    ),
    "company": (
        "Arrow Sports|Birch Dental|Copper Kitchen|Dune Travel|Elm Street Deli|Fox Bikes|Golden Gym|Hilltop Farm|"
        "Island Toys|Jade Spa|Kite Studio|Lemon Tree"
    ),
    "item": (
        "yoga mats|tooth brushes|frying pans|travel bags|bread baskets|bike lights|jump ropes|milk cans|toy trains|"
        "face masks|camera stands|fruit crates"
    ),
    "city": "Lisbon|Prague|Bergen|Nantes|Cork|Graz|Bilbao|Verona|Bruges|York|Geneva|Uppsala",
}


def fields(pool: dict[str, str]) -> dict[str, list[str]]:
    return {key: values.split("|") for key, values in pool.items()}


def rows(
    draw: random.Random,
    count: int,
    *,
    wordings: list[str],
    pool: dict[str, list[str]],
    quantities: list[int],
    rush: list[str],
    calm: list[str],
) -> list[dict[str, object]]:
    """Each wording and each value is used about equally often; a third of the orders is urgent."""
    decks = {key: deck(draw, values, count) for key, values in pool.items()}
    made: list[dict[str, object]] = []
    for i in range(count):
        urgent = i % 3 == 0
        order = {key: decks[key][i] for key in pool} | {"quantity": draw.choice(quantities)}
        sentence = draw.choice(rush if urgent else calm)
        text = " ".join(wordings[i % len(wordings)].format(**order, rush=sentence).split())
        answer = {
            "name": order["name"],
            "item": order["item"],
            "quantity": order["quantity"],
            "city": order["city"],
            "urgent": urgent,
        }
        messages = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": text},
            {"role": "assistant", "content": json.dumps(answer, separators=(",", ":"))},
        ]
        made.append({"messages": messages})
    draw.shuffle(made)
    return made


def deck(draw: random.Random, values: list[str], count: int) -> list[str]:
    drawn: list[str] = []
    while len(drawn) < count:
        drawn += draw.sample(values, len(values))
    return drawn[:count]


def main(folder: Path) -> None:
    train, validation = fields(TRAIN), fields(VALIDATION)
    for key in train:
        assert not set(train[key]) & set(validation[key]), key
    assert not set(TRAIN_WORDINGS) & set(VALIDATION_WORDINGS)
    quantities = random.Random(1).sample(range(2, 400), 398)
    held_out = quantities[:60]

    train_rows = rows(
        random.Random(2),
        160,
        wordings=TRAIN_WORDINGS,
        pool=train,
        quantities=quantities[60:],
        rush=TRAIN_RUSH,
        calm=TRAIN_CALM,
    )
    validation_rows = rows(
        random.Random(3),
        36,
        wordings=VALIDATION_WORDINGS,
        pool=validation,
        quantities=held_out,
        rush=VALIDATION_RUSH,
        calm=VALIDATION_CALM,
    )
    for name, made in (("train", train_rows), ("validation", validation_rows)):
        lines = (json.dumps(row, ensure_ascii=False) for row in made)
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(__file__).parent)
