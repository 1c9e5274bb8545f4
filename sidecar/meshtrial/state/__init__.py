"""What is kept between requests, outside the plan."""
