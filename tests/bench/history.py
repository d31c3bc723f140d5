"""The made-up shop: on which days its orders arrived, and what falls due on the measured day.

Every size is the same shop with a longer or shorter history: as many orders a
day, and as many due cases on the measured day. Those lie where a history puts
them: who is reminded 7 days before the end of a warranty of 180 days received
the goods 174 days ago, one to ten days after the order, so that the orders of
one reminder are spread over ten days of orders.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

MEASURED_DAY = date(2026, 3, 2)
ORDERS_A_DAY = 5_000
DUE_CASES = 20_000
DELIVERY_DAYS = 10  # an order is delivered at most so many days later

# Days from the start of a warranty to its reminders -30d, -7d, -1d and due;
# the day of the start itself is not counted.
REMINDED = {"hardware": (151, 174, 180, 181), "software": (336, 359, 365, 366)}
# Days from the start of a unit's windows to any change by time alone.
WAKES = {"hardware": {8, 15, 151, 174, 180, 181}, "software": {15, 336, 359, 365, 366}}
# A claim is opened within the warranty: at most so many days after its start.
IN_WARRANTY = 175

# Even the shortest history begins early enough for three of the reminders.
SHORTEST = 192


def instant(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), timezone.utc)


# The start state is enforced up to the evening before.
STARTED_AT = instant(MEASURED_DAY - timedelta(days=1), 23)
MEASURED_AT = instant(MEASURED_DAY, 20)


def micros(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000


@dataclass(frozen=True)
class Duty:
    """Why a case is due on the measured day."""

    kind: str
    age: int | None  # days since the warranty's start; None: a claim's goods arrive


@dataclass(frozen=True)
class Shape:
    """How many orders, over which days; a day is counted back from the measured one."""

    orders: int

    @property
    def orders_a_day(self) -> int:
        return min(ORDERS_A_DAY, self.orders // 20)

    @property
    def first_day(self) -> int:
        return max(self.orders // self.orders_a_day + 1, SHORTEST)

    @property
    def days(self) -> range:
        return range(self.first_day, self.first_day - self.orders // self.orders_a_day, -1)

    @property
    def due(self) -> int:
        return min(DUE_CASES, self.orders // 5)

    def duties(self) -> dict[int, list[Duty]]:
        """What is due of the orders of each day: four of five are reminders,
        as many of each that the history covers."""
        reminders = [
            (placed, Duty(kind, age))
            for kind, ages in REMINDED.items()
            for age in ages
            if age + 1 in self.days and age + DELIVERY_DAYS in self.days
            for placed in range(age + 1, age + DELIVERY_DAYS + 1)
        ]
        opened = range(31, IN_WARRANTY + DELIVERY_DAYS + 1)
        arrivals = [(placed, Duty("hardware", None)) for placed in opened if placed in self.days]
        due: dict[int, list[Duty]] = {}
        for slots, total in (reminders, self.due * 4 // 5), (arrivals, self.due // 5):
            for (placed, duty), count in zip(slots, share(total, len(slots))):
                due.setdefault(placed, []).extend([duty] * count)
        return due


def share(total: int, parts: int) -> list[int]:
    """A number in parts that differ by one at most."""
    return [total * (i + 1) // parts - total * i // parts for i in range(parts)]
