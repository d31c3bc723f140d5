"""Writes the import files of the made-up shop, in the order in which it learnt of things."""

import functools
import random
from datetime import timedelta
from multiprocessing import Pool
from pathlib import Path

from history import DELIVERY_DAYS, IN_WARRANTY, MEASURED_DAY, REMINDED, WAKES, Duty, Shape

HEADERS = {
    "orders": "order_ref,customer_ref,customer_name,customer_email,customer_locale,placed_at,"
    "paid_at,shipped_at,delivered_at,cancelled_at,cancel_refunded_at,currency,total,"
    "shipping_out,shipping_back\n",
    "units": "unit_ref,order_ref,sku,product_name,kind,serial,price,company_confirmed_at,"
    "customer_confirmed_at\n",
    "claims": "claim_ref,unit_ref,type,opened_at,assignee_email,confirmed_at,received_at,"
    "repaired_at,closed_at\n",
}

# Orders are numbered from here, so that an order has its name in every size.
FIRST_DAY = 2_100


def write(shape: Shape, folder: Path) -> dict[str, int]:
    """Writes the three files; gives how many rows each has."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: open(folder / f"{name}.csv", "w", encoding="ascii") for name in HEADERS}
    for name, header in HEADERS.items():
        files[name].write(header)
    rows = dict.fromkeys(HEADERS, 0)
    duties = shape.duties()
    days = [(shape, before, duties.get(before, [])) for before in shape.days]
    with Pool(2) as pool:
        for texts in pool.imap(facts, days, chunksize=4):
            for name, (lines, count) in zip(HEADERS, texts):
                files[name].write(lines)
                rows[name] += count
    for file in files.values():
        file.close()
    return rows


def facts(day: tuple[Shape, int, list[Duty]]) -> list[tuple[str, int]]:
    """The lines of one day's orders, and how many: orders, units, claims."""
    shape, before, due = day
    count = shape.orders_a_day
    assigned = assign(due, count, random.Random(f"due {before}"))
    draw = random.Random(before).random
    orders, units, claims = [], [], []
    # Customers come back, but not within the days of what is due.
    customers = max(shape.orders // 2, 150_000)
    for place in range(count):
        duty = assigned.get(place)
        number = (FIRST_DAY - before) * count + place
        kind, ref, customer = kind_of(place), f"{number:08d}", number % customers
        second = place * 86_400 // count
        minute = f"{day_text(before)}T{second // 3600:02d}:{second // 60 % 60:02d}"
        cents, chance, clock = 2_000 + int(draw() * 48_000), draw(), clock_text(draw())
        age = age_of(kind, before, draw(), duty)
        placed, shipped, delivered, cancelled, refunded = f"{minute}:00Z", "", "", "", ""
        if duty is None and chance < 0.03:
            cancelled, refunded = f"{minute}:30Z", f"{day_text(before - 1)}T{clock}"
        elif age > 0:
            shipped, delivered = f"{minute}:40Z", f"{day_text(age)}T{clock}"
        orders.append(
            f"O-{ref},C-{customer:07d},Customer {customer},c{customer}@customers.example,en,"
            f"{placed},{placed},{shipped},{delivered},{cancelled},{refunded},EUR,"
            f"{cents // 100 + 4}.{cents % 100:02d},4.00,4.00\n"
        )
        is_hardware = kind == "hardware"
        serial, confirmed = (f"SN{ref}", "") if is_hardware else ("", delivered)
        units.append(
            f"U-{ref},O-{ref},SKU-{place % 500:03d},Product {place % 500},{kind},{serial},"
            f"{cents // 100}.{cents % 100:02d},{confirmed},{confirmed}\n"
        )
        life = claim_life(kind, age, chance, draw(), duty) if delivered else None
        if life:
            times = [f"{day_text(day)}T{clock}" if day is not None else "" for day in life[1:]]
            opened, *others = times
            assignee = f"t{number % 20}@shop.example"
            claims.append(
                f"K-{ref},U-{ref},{life[0]},{opened},{assignee},{','.join(others)}\n"
            )
    return [("".join(lines), len(lines)) for lines in (orders, units, claims)]


def assign(due: list[Duty], count: int, dice: random.Random) -> dict[int, Duty]:
    """Which orders of a day are due: drawn from those of the kind."""
    assigned = {}
    for kind in REMINDED:
        wanted = [duty for duty in due if duty.kind == kind]
        places = [place for place in range(count) if kind_of(place) == kind]
        assigned.update(zip(dice.sample(places, len(wanted)), wanted))
    return assigned


def kind_of(place: int) -> str:
    """Every fourth unit is software."""
    return "software" if place % 4 == 3 else "hardware"


@functools.cache
def day_text(before: int) -> str:
    return (MEASURED_DAY - timedelta(days=before)).isoformat()


def clock_text(draw: float) -> str:
    """A time of day between 8 and 18."""
    second = 28_800 + int(draw * 36_000)
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"


def age_of(kind: str, before: int, draw: float, duty: Duty | None) -> int:
    """How many days ago an order was delivered; 0 or less: it was not yet.
    Without a duty nothing changes by time alone on the measured day."""
    age = before - 1 - int(draw * DELIVERY_DAYS)
    if duty is not None:
        age = min(age, IN_WARRANTY) if duty.age is None else duty.age
    while age in WAKES[kind] and (duty is None or duty.age is None):
        age -= 1
    return age


def claim_life(kind: str, age: int, chance: float, draw: float, duty: Duty | None):
    """Type, and days back from the measured one: opened, confirmed, received,
    repaired, closed. `None`: no claim."""
    if duty is not None:
        return ("repair", 4, 3, 0, None, None) if duty.age is None else None
    if chance >= 0.30:
        return None
    if chance < 0.06:
        opened = age - 2
        life = ("refund", opened, opened - 1, None, opened - 3, opened - 5)
    else:
        opened = age - 3 - int(draw * 45)
        arrived, repaired = (opened - 3, opened - 12) if kind == "hardware" else (None, opened - 5)
        life = ("repair", opened, opened - 1, arrived, repaired, repaired - 2)
    if kind == "hardware" and chance > 0.29 and opened > 40:
        return (*life[:4], None, None)  # long overdue
    # Over before the measured day, or not begun.
    return life if life[5] > 1 else None
