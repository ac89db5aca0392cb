"""`make bench`"""

import os

os.environ["IIIFFS_BENCH"] = "1"

from tests.bench import cold, library, listing, warm

if __name__ == "__main__":
    warm.run()
    cold.run()
    listing.run()
    library.run()
